"""pmwatchd watches hosts, fences the dead ones, proves that they are off and brings them back."""
