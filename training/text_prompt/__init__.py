"""Text as a prompt token of `sam_tiny`: scenes, training, evaluation."""
