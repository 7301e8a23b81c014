"""The ideas behind the commands, a page each: ``dver help pointers``."""

from __future__ import annotations

#: What ``dver help`` can explain besides commands. The text of each is in the file NAME.txt.
CONCEPTS = {
    "pointers": "The small files that git keeps in the place of data.",
    "store": "Where content is kept, once.",
    "remotes": "Where a team shares content.",
    "revisions": "How to name a version of data.",
    "paths": "What a path can be, and which names are refused.",
    "links": "How files get into the workspace.",
    "records": "What made something, and out of what.",
    "pipelines": "Which commands make what, in dver.yaml.",
    "garbage": "What removes content, and what never does.",
    "trust": "What is believed of what others wrote.",
    "settings": "Where settings stand, aliases, the pager and colours.",
}


def text_of(name: str) -> str:
    """Return the page of a concept. Raises KeyError for a name that is none."""
    from importlib.resources import files

    CONCEPTS[name]
    return files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
