"""What others offer for the same work, and the limits of the machine, measured beside the toolkit in one run."""
