//! Softmax attention (Vaswani et al. 2017), a block of keys at a time as in FlashAttention
//! (Dao et al. 2022).
//!
//! For each image and each head, whose vectors are `d = C / heads` consecutive channels, with
//! `s_ij = d^(-1/2) q_i . k_j`,
//!
//! `L_i = ln sum over j of e^s_ij`, `p_ij = e^(s_ij - L_i)`, `o_i = sum over j of p_ij v_j`.
//!
//! The T x T scores are never in memory at once: a task holds those of one block of queries with
//! 512 keys. Queries are the lanes of vectors, so that the maximum and the sum of each query's
//! scores are taken without crossing lanes, and keys and values are read in place. Up to 512
//! tokens, an image of 22 x 22, one block holds all keys, and this is the textbook softmax.
//! Beyond, working by blocks keeps the scores in the L2 cache, at the cost of rescaling the
//! outputs once a block.

mod backward;
mod block;
mod forward;
mod part;
mod shape;

pub use backward::{Gradients, backward};
pub use forward::{Forward, View, forward};
pub use shape::Shape;
