"""Gene sets, the pathway mask, and the layer whose only weights are those of the mask."""
