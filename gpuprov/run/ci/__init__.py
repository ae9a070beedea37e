"""What CI asks: is a change of the repository fit to be merged, and do the clusters agree with it?"""
