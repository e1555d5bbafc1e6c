//! YAML to located documents; the only module that names a YAML library.
