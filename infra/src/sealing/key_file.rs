//! Being written: the master key in a file of mode 0600; refused when group or world can read it.
