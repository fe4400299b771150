//! The engine as its callers see it: a real SDK client over it, in memory and on a folder.
