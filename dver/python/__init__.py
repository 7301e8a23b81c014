"""dver for Python programs: files of any version, whole repositories, and ``dver://`` URLs."""
