"""An HTTP/1.1 client that spends little CPU time: requests are prebuilt bytes, answers are read by callbacks."""
