"""Remote state against a real node, through a proxy that is slow, broken or lying."""
