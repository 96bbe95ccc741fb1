"""Other systems, measured in the same run on the same rows. None of them comes with this project:
what isn't installed is skipped by its name."""
