"""Files, folders, pipes and arrays <-> samples: one reader for host, device and server.

sources   a file, a folder or a pipe -> samples, and what is needed to write it back
sinks     samples -> the file they came from
npy       one array of a .npy file
arrays    arrays of .npy and .npz -> vectors, windows of a series, images
table     a table of numbers as text
timed     a table of text with times and gaps
times     times as text
parquet   a table of Parquet
series    rows <-> windows
pictures  a picture -> pixels
png       pixels -> PNG
survey    what can be said of columns
checks    what can be wrong with samples before anything is trained on them
noise     how much of them is noise
files     writing aside and renaming, so that nobody ever sees half a file
builtin   data that needs no file: what comes with scikit-learn, and toy sets
"""
