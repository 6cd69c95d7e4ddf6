"""The plugin's models, one file each."""
