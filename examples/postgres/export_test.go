package postgres

// Class is for OpenSQL, which a program would call with its own class.
var Class = class
