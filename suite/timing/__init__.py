"""How kernels are timed: on what, how a call is timed, in which rounds, against which floor."""
