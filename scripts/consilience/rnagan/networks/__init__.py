"""The networks: one file per discriminator and generator, `published` and `default`."""
