"""What this version writes beside the name."""

COLUMN, VALUE = "note", "new"
