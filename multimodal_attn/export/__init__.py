"""A trained model as a folder of files that other programs can run."""
