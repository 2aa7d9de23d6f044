"""Training of the embedded models: scenes are composed, the model is trained and evaluated."""
