//! The kept inputs of the fuzz targets, run again.
