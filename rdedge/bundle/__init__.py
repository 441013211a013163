"""The one file that carries a codec: manifest, identity, archive, recipe."""
