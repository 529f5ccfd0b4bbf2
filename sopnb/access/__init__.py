"""How databases, stores and records are reached: open engines, the three ways to a store, key ranges, filters."""
