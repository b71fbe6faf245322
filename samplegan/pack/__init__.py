"""What makes a folder of sounds a pack: names that say what is inside, and a manifest."""
