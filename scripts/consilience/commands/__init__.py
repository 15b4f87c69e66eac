"""Commands that use trained models: what they read, print and write; the work is done in other rooms."""
