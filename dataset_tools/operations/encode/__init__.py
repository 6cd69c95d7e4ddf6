"""`encode`: the items' texts, images, videos and sounds become features."""
