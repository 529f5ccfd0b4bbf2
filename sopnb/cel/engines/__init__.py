"""The CEL engines, each behind the same few lines, and the choice among them."""
