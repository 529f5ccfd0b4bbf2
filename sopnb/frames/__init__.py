"""Arrow to and from the frames of other libraries; knows nothing of databases."""
