"""What is installed, what is active, what is on the disk, and what to do about what is wrong."""
