"""The GraphQL vocabulary of Bistro92: types, inputs, root fields, and who may use them."""
