"""From a data source to tensors: sources, splits, transforms, hierarchies of known data sets."""
