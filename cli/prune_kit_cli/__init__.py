"""The prunekit command."""
