/* The operator's command. */
#include "admin/ctl.h"

int main(int argc, char *argv[])
{
	return ctl_main(argc, argv, stdout);
}
