"""The scikit-learn door: a classifier that programs train, keep, share and read back."""
