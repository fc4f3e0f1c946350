"""What integrators import; everything else of this repository is the server's."""
