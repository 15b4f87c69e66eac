"""A network of counts that knows pathways, batches and donors, but no disease."""
