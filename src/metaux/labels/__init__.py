"""Label sources: where the auxiliary target of a sample comes from, one file each."""
