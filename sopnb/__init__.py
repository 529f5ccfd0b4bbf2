"""A transactional ordered store for DataFrames, opened straight from a notebook."""
