//! GDTF files, held against `pygdtf`.
