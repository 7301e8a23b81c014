"""What commands are about: targets, parts of them, versions, and where content is."""
