"""Image files, folders of images and TIFF stacks as frame sources."""
