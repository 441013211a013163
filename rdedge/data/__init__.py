"""Files, folders, pipes and arrays <-> samples: one reader for host, device and server.

sources   a file or a pipe -> samples, and what is needed to write it back
sinks     samples -> the file they came from
npy       one array of a .npy file
table     a table of numbers as text
files     writing aside and renaming, so that nobody ever sees half a file
builtin   the data set that comes with scikit-learn
"""
