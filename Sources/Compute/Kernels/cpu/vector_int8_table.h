// The table of a unit, once its kernels are defined.
#define INT8_TABLE(unit, rows, multiply, most)                                                                                                 \
    {                                                                                                                                        \
        .name = unit, .group = GROUP, .panel = PANEL, .tile = rows, .leftFromRows = left_from_rows, .leftFromColumns = left_from_columns,    \
        .rightFromRows = right_from_rows, .rightFromColumns = right_from_columns, .product = multiply, .peak = most,                         \
    }
