//! Input from a SparkFun DMX shield.
