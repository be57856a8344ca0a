//! Coze authentication without IO.
