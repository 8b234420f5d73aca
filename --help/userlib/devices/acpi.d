/tmp/lead/main/--help/userlib/devices/acpi.o: \
 /tmp/lead/main/userlib/devices/acpi.c \
 /tmp/lead/main/userlib/devices/acpi.h \
 /tmp/lead/main/userlib/devices/aml.h \
 /tmp/lead/main/userlib/devices/power.h \
 /tmp/lead/main/userlib/devices/bus.h \
 /tmp/lead/main/userlib/devices/rtc.h \
 /tmp/lead/main/userlib/devices/irq.h \
 /tmp/lead/main/userlib/devices/uart.h
/tmp/lead/main/userlib/devices/acpi.h:
/tmp/lead/main/userlib/devices/aml.h:
/tmp/lead/main/userlib/devices/power.h:
/tmp/lead/main/userlib/devices/bus.h:
/tmp/lead/main/userlib/devices/rtc.h:
/tmp/lead/main/userlib/devices/irq.h:
/tmp/lead/main/userlib/devices/uart.h:
