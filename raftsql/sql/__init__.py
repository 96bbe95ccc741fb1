"""What a statement is: splitting, classes, determinism verdicts, and the commands a log holds."""
