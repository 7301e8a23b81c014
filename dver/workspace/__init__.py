"""The data as it lies beside its pointers: finding what is there, bringing in what should be."""
