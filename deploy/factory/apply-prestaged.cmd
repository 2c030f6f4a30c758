@echo off
rem Applies a prestaged medium to a disk with an EFI system partition of its own, in Windows PE.
rem docs/factory-line.md has the layout and the reasons.
rem
rem   apply-prestaged.cmd MEDIUM DISK WIPE
rem
rem   MEDIUM  the medium: x.wim, or x.swm with its parts x2.swm, x3.swm ... beside it
rem   DISK    the number that "diskpart", "list disk" shows
rem   WIPE    this word, because everything on the disk is lost
rem
rem Exit codes: 0 done, 1 a step failed, 2 the call is wrong.
setlocal EnableExtensions DisableDelayedExpansion

set "MEDIUM=%~1"
set "DISK=%~2"
set "SYSTEM=S:"
set "WINDOWS=W:"

if "%~3"=="" goto usage
if /i not "%~3"=="WIPE" goto usage
echo(%DISK%| findstr /r "^[0-9][0-9]*$" >nul || goto usage
if not exist "%MEDIUM%" (
    echo error: the medium "%MEDIUM%" is not there
    echo try:   net use, then the full path
    exit /b 2
)
for %%L in (%SYSTEM% %WINDOWS%) do if exist %%L\ (
    echo error: drive %%L is in use
    echo try:   diskpart, select volume, remove letter=%%L
    exit /b 2
)

rem A split medium names its parts by a pattern.
set "PARTS="
if /i "%~x1"==".swm" set "PARTS=/SWMFile:"%~dpn1*.swm""

echo == 1 of 4: partitions of disk %DISK%
set "SCRIPT=%TEMP%\prestage-diskpart.txt"
(
    echo select disk %DISK%
    echo clean
    echo convert gpt
    echo create partition efi size=260
    echo format quick fs=fat32 label=System
    echo assign letter=%SYSTEM:~0,1%
    echo create partition msr size=16
    echo create partition primary
    echo format quick fs=ntfs label=Windows
    echo assign letter=%WINDOWS:~0,1%
) >"%SCRIPT%" || goto failed
diskpart /s "%SCRIPT%" || goto failed
del "%SCRIPT%"
if not exist %SYSTEM%\ goto failed
if not exist %WINDOWS%\ goto failed

echo == 2 of 4: the medium, checked by its integrity table
dism /Apply-Image /ImageFile:"%MEDIUM%" %PARTS% /Index:1 /ApplyDir:%WINDOWS%\ /CheckIntegrity || goto failed
if not exist %WINDOWS%\sources\boot.wim goto notprestaged
if not exist %WINDOWS%\SMS\data\Variables.dat goto notprestaged
if not exist %WINDOWS%\EFI\Microsoft\Boot\BCD goto notprestaged

echo == 3 of 4: the boot files, to where the firmware reads them
xcopy %WINDOWS%\EFI %SYSTEM%\EFI\ /e /h /y >nul || goto failed

echo == 4 of 4: the boot store, which must name the Windows partition
set "STORE=%SYSTEM%\EFI\Microsoft\Boot\BCD"
bcdedit /store %STORE% /set {bootmgr} device partition=%SYSTEM% || goto failed
bcdedit /store %STORE% /set {ramdiskoptions} ramdisksdidevice partition=%WINDOWS% || goto failed
bcdedit /store %STORE% /set {default} device ramdisk=[%WINDOWS%]\sources\boot.wim,{ramdiskoptions} || goto failed
bcdedit /store %STORE% /set {default} osdevice ramdisk=[%WINDOWS%]\sources\boot.wim,{ramdiskoptions} || goto failed
bcdedit /store %STORE% /enum all || goto failed

echo done: the computer starts Windows PE from this disk. Shut it down, do not restart it here.
exit /b 0

:notprestaged
echo error: "%MEDIUM%" was applied, but it is no prestaged medium: sources, SMS or EFI is missing
exit /b 1

:failed
echo error: the step above failed; the disk is not fit to be shipped
exit /b 1

:usage
echo usage: %~nx0 MEDIUM DISK WIPE
echo everything on the disk of that number is lost
exit /b 2
