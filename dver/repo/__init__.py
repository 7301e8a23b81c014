"""One opened repository: git, settings and store together, and paths as the user names them."""

from dver.repo.repo import Repo

__all__ = ["Repo"]
