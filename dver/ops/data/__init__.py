"""The data in the workspace and its pointers: put under dver, compared, brought, moved, removed."""
