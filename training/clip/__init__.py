"""Training of the embedded `clip_tiny`: words, pictures of named objects, two small towers."""
